CREATE TABLE track (id INTEGER PRIMARY KEY, length TEXT); INSERT INTO track VALUES (1,'1 day, 2:03:04'),(2,'-1 day, 23:59:59.500000'),(3,'26:03:04'),(4,'2:03:04'),(5,'3 days 00:00:01');
