-- Inserts, an index, then selects, joins, updates and a window function over :rows rows in memory.
CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT, city INTEGER, height REAL);
CREATE TABLE city(id INTEGER PRIMARY KEY, name TEXT);
BEGIN;
INSERT INTO city WITH RECURSIVE n(i) AS (VALUES(0) UNION ALL SELECT i + 1 FROM n WHERE i < 499)
    SELECT i, printf('city %04d', i * 7919 % 500) FROM n;
INSERT INTO person WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < :rows)
    SELECT i, printf('person %08x', i * 2654435761 % 4294967296), i * 48271 % 500, 1.5 + i * 16807 % 700 / 1000.0 FROM n;
COMMIT;
CREATE INDEX person_by_name ON person(name);
CREATE INDEX person_by_city ON person(city, height);
SELECT count(*), sum(length(name)), round(avg(height), 6) FROM person;
SELECT city.name, count(*), round(max(height), 6) FROM person JOIN city ON city.id = person.city
    GROUP BY city.name ORDER BY 2 DESC, 1 LIMIT 5;
SELECT count(*) FROM person a JOIN person b ON b.id = a.id * 7 % :rows WHERE b.height > a.height;
SELECT count(*) FROM person WHERE name LIKE '%ab%' OR name BETWEEN 'person 4' AND 'person 5';
WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < :rows / 4)
    SELECT sum(person.id) FROM n CROSS JOIN person ON person.name = printf('person %08x', n.i * 2654435761 % 4294967296);
UPDATE person SET height = height + 0.001, name = upper(name) WHERE city % 10 = 3;
DELETE FROM person WHERE city % 50 = 7;
SELECT sum(place) FROM (SELECT row_number() OVER (PARTITION BY city ORDER BY height, id) AS place FROM person);
SELECT substr(name, 1, 8) AS prefix, count(*) FROM person GROUP BY prefix ORDER BY 2 DESC, 1 LIMIT 5;
