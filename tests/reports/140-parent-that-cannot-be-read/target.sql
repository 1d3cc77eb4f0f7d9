SET session_replication_role = origin;
CREATE TABLE p (id serial PRIMARY KEY, v text); INSERT INTO p VALUES (1,'x'),(2,'y'); CREATE TABLE c (id serial PRIMARY KEY, p int REFERENCES p);
DO $$ DECLARE who name := (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()); BEGIN EXECUTE format('ALTER TABLE c OWNER TO %I; GRANT REFERENCES ON p TO %I', who, who); END $$;
