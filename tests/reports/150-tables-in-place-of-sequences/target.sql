CREATE SEQUENCE author_seq START WITH 1 INCREMENT BY 50;
CREATE SEQUENCE hibernate_sequence;
CREATE TABLE author (id bigint NOT NULL PRIMARY KEY, name text);
CREATE TABLE book (id bigint NOT NULL PRIMARY KEY, author bigint NOT NULL REFERENCES author(id), title text);
CREATE TABLE loan (id bigint NOT NULL PRIMARY KEY, book bigint NOT NULL REFERENCES book(id));
