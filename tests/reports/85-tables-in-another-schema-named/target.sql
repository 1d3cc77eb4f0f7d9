CREATE SCHEMA mediawiki; CREATE FUNCTION mediawiki.fold(t text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT lower(btrim(t)) $$;
CREATE FUNCTION mediawiki.key_of(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN fold(t); END $$;
CREATE TABLE mediawiki.page (page_id serial PRIMARY KEY, title text, k text GENERATED ALWAYS AS (mediawiki.key_of(title)) STORED);
