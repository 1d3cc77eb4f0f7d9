CREATE TABLE article (id INTEGER PRIMARY KEY, title TEXT NOT NULL, slug TEXT); INSERT INTO article VALUES (1,'First Steps','first-steps'),(2,'About','who-we-are'),(3,'Draft',NULL);
