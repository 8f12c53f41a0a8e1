-- What an admin is. Called for requests with their token, some seconds apart for each.
select role::text
from admin_users
where id = $1
