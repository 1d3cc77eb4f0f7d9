CREATE TABLE "li
ne"("a\b" INTEGER PRIMARY KEY, "$1" TEXT UNIQUE, "?" TEXT, "end " TEXT); INSERT INTO "li
ne" VALUES(1,'x','y','z'); CREATE TABLE n(p INTEGER PRIMARY KEY, k TEXT, n TEXT, first TEXT, r INTEGER, c INTEGER REFERENCES n(p), e0 TEXT); INSERT INTO n VALUES(1,'a','b','c',1,1,'d'),(2,'A','b','c',1,1,'d');
