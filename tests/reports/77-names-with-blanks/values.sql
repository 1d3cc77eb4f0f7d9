SELECT * FROM order_details
