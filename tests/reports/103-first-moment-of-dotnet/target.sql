CREATE TABLE "History" ("Id" serial PRIMARY KEY, "At" timestamptz NOT NULL, "Kinds" timestamptz);
