SET session_replication_role = origin;
CREATE SEQUENCE t_ids; CREATE TABLE t (id int PRIMARY KEY DEFAULT nextval('t_ids'), v text);
DO $$ DECLARE who name := (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()); BEGIN EXECUTE format('ALTER TABLE t OWNER TO %I; GRANT USAGE ON SEQUENCE t_ids TO %I', who, who); END $$;
