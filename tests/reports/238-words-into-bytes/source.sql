CREATE TABLE m (id INTEGER PRIMARY KEY, v TEXT);
INSERT INTO m VALUES (1,'password'),(2,'sunshine'),(3,'HelloWorld'),(4,'2024-02-29'),(5,'in_progress'),(6,'some-long-slug-of-an-article'),(7,'cafe'),(8,'iPhone12'),(9,'');
