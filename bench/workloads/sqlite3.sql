-- What a small application asks of SQLite: 200,000 rows in (:rows), two indexes, groups, joins,
-- updates.  Everything is in memory, and every result is the same in every run.
CREATE TABLE customer(id INTEGER PRIMARY KEY, name TEXT, city TEXT);
CREATE TABLE sale(id INTEGER PRIMARY KEY, customer INTEGER, item TEXT, amount REAL, day INTEGER);

WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
INSERT INTO customer SELECT i, 'customer ' || i, 'city ' || (i * 7919 % 97) FROM n;

WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)
INSERT INTO sale SELECT i, 1 + i * 7919 % 5000, printf('item-%04x', i * 31 % 1009),
                        (i * 104729 % 100000) / 100.0, i * 13 % 365 FROM n;

CREATE INDEX sale_by_customer ON sale(customer);
CREATE INDEX sale_by_item ON sale(item, day);

SELECT count(*), round(sum(amount), 2), min(day), max(day) FROM sale;
SELECT item, count(*), round(sum(amount), 2) AS total FROM sale
    GROUP BY item ORDER BY total DESC LIMIT 10;
SELECT city, count(DISTINCT customer.id), round(avg(amount), 2) AS mean
    FROM sale JOIN customer ON customer.id = sale.customer GROUP BY city ORDER BY mean LIMIT 10;
SELECT a.item, b.item, count(*) AS together FROM sale a JOIN sale b
    ON a.customer = b.customer AND a.day = b.day AND a.id < b.id WHERE a.day < 120
    GROUP BY 1, 2 ORDER BY together DESC, 1, 2 LIMIT 10;
UPDATE sale SET amount = amount * 1.1 WHERE item LIKE 'item-00%';
DELETE FROM sale WHERE day < 30;
SELECT group_concat(name, '; ') FROM (SELECT name FROM customer WHERE id IN
    (SELECT customer FROM sale GROUP BY customer ORDER BY sum(amount) DESC, customer LIMIT 20));
SELECT round(sum(amount), 2), sum(length(item)) FROM sale;
