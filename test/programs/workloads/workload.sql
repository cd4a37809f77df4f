-- A workload for sqlite3's command line: rows by recursion, indices, joins, windows, text search, JSON, R-trees, floats.
PRAGMA journal_mode = WAL;
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price REAL, code BLOB, parent INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO item
SELECT i, printf('item %05d %s', (i * 7919) % 20011, char(97 + i % 26)), (i * 16807 % 2147483647) / 1e4 / (1 + i % 17),
  substr(hex(i * 2654435761), 1, 6), i / 3 FROM n;
CREATE INDEX item_name ON item (name);
CREATE INDEX item_price ON item (price DESC, id);
SELECT count(*), sum(price), avg(price), min(price), max(price), total(id), group_concat(DISTINCT substr(code, 1, 1)) FROM item;
SELECT i % 10 AS k, round(sum(price), 6), printf('%.15g', avg(price)), printf('%e', max(price)) FROM
  (SELECT id AS i, price FROM item) GROUP BY k ORDER BY k;
SELECT a.id, b.id, a.name, printf('%!.20g', b.price) FROM item a JOIN item b ON a.parent = b.id
  WHERE a.price BETWEEN 100 AND 101 ORDER BY a.name, b.id LIMIT 50;
SELECT id, printf('%.12g', price - lag(price, 3, 0.0) OVER w), rank() OVER w, printf('%.17g', sum(price) OVER w)
  FROM item WHERE id % 499 = 0 WINDOW w AS (ORDER BY price) ORDER BY id;
WITH RECURSIVE up(id, depth) AS (SELECT 19999, 0 UNION ALL SELECT item.parent, depth + 1 FROM item JOIN up USING (id)
  WHERE item.parent > 0) SELECT group_concat(id), max(depth) FROM up;
CREATE VIRTUAL TABLE words USING fts5(body);
INSERT INTO words SELECT name || ' ' || code || ' price ' || cast(price AS INTEGER) FROM item WHERE id < 5000;
SELECT count(*), printf('%.10g', sum(rank)) FROM words WHERE words MATCH 'item AND c*';
SELECT rowid, snippet(words, 0, '[', ']', '~', 4) FROM words WHERE words MATCH 'price NEAR 100' ORDER BY rank, rowid LIMIT 10;
CREATE VIRTUAL TABLE box USING rtree(id, x0, x1, y0, y1);
INSERT INTO box SELECT id, price, price + 10, id % 1000, id % 1000 + 5 FROM item WHERE id <= 5000;
SELECT count(*), sum(id), printf('%.9g', sum(x0)) FROM box WHERE x1 > 500 AND x0 < 5000 AND y0 > 300 AND y1 < 700;
SELECT json_group_array(json_object('id', id, 'price', price)) FROM item WHERE id % 2500 = 0;
SELECT sum(json_extract(j, '$.a[1]')) FROM (SELECT json_array(id) AS x, json_object('a', json_array(id, price)) AS j FROM item);
SELECT printf('%.17g|%.17g|%.17g|%.17g', sqrt(2), exp(1), ln(10), pow(2, 0.5)), acos(-1), sin(1e10), log(2, 10);
SELECT 9223372036854775807 + 1, -9223372036854775808 / -1, 5 / 0, 7 % -3, 1 << 63, ~0, cast('1e400' AS REAL), 0.1 + 0.2;
UPDATE item SET price = price * 1.1, name = upper(name) WHERE id % 3 = 0;
DELETE FROM item WHERE id % 7 = 0;
SAVEPOINT s; DELETE FROM item; ROLLBACK TO s; RELEASE s;
VACUUM;
PRAGMA integrity_check;
SELECT count(*), printf('%.17g', sum(price)), count(DISTINCT name) FROM item;
.sha3sum
SELECT hex(sha3(group_concat(name || price || code, ';'))) FROM (SELECT * FROM item ORDER BY id);
.dump item
