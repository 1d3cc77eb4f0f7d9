CREATE TABLE post (id INTEGER PRIMARY KEY, tags TEXT, ids TEXT, words TEXT, flags TEXT);
INSERT INTO post VALUES (1,'{a,"b c"}','{1,-2}','[1,"x"]','[true,0]'),(2,'{}','{}','[]','[]'),(3,'{"q\"\\,",NULL,"NULL",""}',NULL,NULL,NULL),(4,'["json"]','[7]',NULL,NULL);
