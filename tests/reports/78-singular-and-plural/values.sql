SELECT * FROM categories
