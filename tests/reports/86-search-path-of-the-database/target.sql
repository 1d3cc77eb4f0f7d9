CREATE SCHEMA lib; CREATE FUNCTION lib.fold(t text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT lower(btrim(t)) $$;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, lib', current_database()); END $$;
CREATE FUNCTION key_of(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN fold(t); END $$;
CREATE DOMAIN filled AS text CHECK (key_of(VALUE) <> '');
CREATE TABLE t (id serial PRIMARY KEY, v filled, w text DEFAULT key_of(' D ')); CREATE UNIQUE INDEX t_v ON t (key_of(v));
