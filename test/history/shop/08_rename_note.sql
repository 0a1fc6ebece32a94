ALTER TABLE shop.customers RENAME note TO remark;
UPDATE shop.customers SET remark = 'renamed' WHERE id = 3;
