CREATE TABLE "li
ne"("a\b" serial PRIMARY KEY, "$1" text, "?" text, "end " text); CREATE UNIQUE INDEX ON "li
ne"(lower("$1")); CREATE TABLE n(p serial PRIMARY KEY, k text, n text, first text, r int CHECK(r>0), c int REFERENCES n(p), e0 text, UNIQUE(p,k), EXCLUDE USING btree (k WITH =)); CREATE UNIQUE INDEX ON n(lower(k), n, first, r, c, e0);
