CREATE SEQUENCE m_ids; CREATE FUNCTION next_id() RETURNS bigint LANGUAGE sql AS $$ SELECT nextval('m_ids') $$; CREATE TABLE m(id bigint PRIMARY KEY DEFAULT next_id(), v text);
