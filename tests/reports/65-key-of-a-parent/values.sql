SELECT * FROM restaurant
