INSERT INTO link (url) VALUES ('n') RETURNING code
