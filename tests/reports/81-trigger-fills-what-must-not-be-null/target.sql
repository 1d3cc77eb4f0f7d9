CREATE FUNCTION squeeze(t text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT replace(lower(t), ' ', '') $$;
CREATE TABLE doc (id serial PRIMARY KEY, title text, search text NOT NULL);
CREATE FUNCTION doc_search() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.search := squeeze(NEW.title); RETURN NEW; END $$;
CREATE TRIGGER doc_search BEFORE INSERT OR UPDATE ON doc FOR EACH ROW EXECUTE FUNCTION doc_search();
