create table item (id integer primary key, name text, price integer, kind integer);
with recursive number(n) as (select 1 union all select n + 1 from number where n < 30000)
insert into item select n, printf('item-%d', n * 7919 % 30011), n * 31 % 1009, n % 13 from number;
create index item_name on item(name);
select kind, count(*), sum(price), max(name) from item group by kind order by kind;
select count(*) from item a join item b on b.id = a.price where a.name < b.name;
select name from item where name like '%77%' order by price desc, name limit 5;
update item set price = price + 1 where kind in (select kind from item where price > 1000);
select total(price) from item;
