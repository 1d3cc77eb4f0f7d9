CREATE SCHEMA mediawiki; CREATE TABLE mediawiki.page (page_id serial PRIMARY KEY);
