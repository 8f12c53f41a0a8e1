-- Whether row security shows this role the rows of one tenant at a time only. Called before a look across tenants.
select row_security_active('documents')
