CREATE SEQUENCE link_seq; CREATE TABLE link (code text PRIMARY KEY DEFAULT to_hex(nextval('link_seq')), url text);
