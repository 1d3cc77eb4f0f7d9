select v::text from a order by id; select v::text from b; select v::text from c; select v::text from f
