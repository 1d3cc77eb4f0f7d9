CREATE TABLE a (id serial PRIMARY KEY, v text CHECK (v <> ''));
DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC, %I', current_database(), current_user); END $$;
