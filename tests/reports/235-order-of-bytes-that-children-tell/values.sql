SELECT count(*), count(pid) FROM c JOIN p ON p.id = c.pid
