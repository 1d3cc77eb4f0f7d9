CREATE TABLE u(id INTEGER PRIMARY KEY, email TEXT, age TEXT); INSERT INTO u VALUES(1,'A@x','old'),(2,'a@x','7'),(3,'b@x','8');
