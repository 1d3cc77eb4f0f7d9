CREATE TABLE "Order Details" ("Order ID" INTEGER PRIMARY KEY, "unit-price" TEXT); INSERT INTO "Order Details" VALUES (1,'2.50');
