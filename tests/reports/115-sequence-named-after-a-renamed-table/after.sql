INSERT INTO items VALUES (nextval('items_id_seq'), 'next') RETURNING id
