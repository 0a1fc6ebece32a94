-- The trap of readers by name: another column that is called the same.
ALTER TABLE shop.customers DROP remark, ADD remark text DEFAULT 'none';
UPDATE shop.customers SET remark = 'second' WHERE id < 4;
