select v from a order by id
