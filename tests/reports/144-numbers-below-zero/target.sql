CREATE SEQUENCE draft_n; CREATE TABLE draft (id int PRIMARY KEY DEFAULT -nextval('draft_n'), v text);
