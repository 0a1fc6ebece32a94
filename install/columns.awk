# Makes C's names for the numbers of the columns of the extension's tables out of the parts
# of the install script, as PostgreSQL has them for its catalogs.
BEGIN { print "/* Made by install/columns.awk. */" }
/^CREATE TABLE cdc\./ {
	table = $3
	sub(/\./, "_", table)
	print ""
	n = 0
	next
}
/^\)/ && table {
	print "#define Natts_" table " " n
	table = ""
}
table && /^  [a-z]/ { print "#define Anum_" table "_" $1 " " ++n }
