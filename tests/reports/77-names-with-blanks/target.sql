CREATE TABLE order_details (order_id serial PRIMARY KEY, unit_price numeric(8,2));
