insert into n(k) values('q') returning p; insert into "li
ne"("$1") values('q') returning "a\b"
