CREATE SEQUENCE t_id_seq; CREATE TABLE t (id integer PRIMARY KEY DEFAULT nextval(('t_id_seq'::text)::regclass), v text);
