CREATE TABLE m (id INTEGER PRIMARY KEY, one TEXT, short TEXT, odd TEXT, digits TEXT, words TEXT);
INSERT INTO m VALUES (1,'aGVsbG8=','YWJj','AQIDBAUGBwg','deadbeef','password'),(2,'some text','ZGVm','ERITFBUWFxg','sunshine','HelloWorld'),(3,'another text, longer','hello','hello world','moonlight','URLs');
