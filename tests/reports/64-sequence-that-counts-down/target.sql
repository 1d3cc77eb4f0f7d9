CREATE SEQUENCE draft_seq INCREMENT -1; CREATE TABLE draft (id integer PRIMARY KEY DEFAULT nextval('draft_seq'), v text);
