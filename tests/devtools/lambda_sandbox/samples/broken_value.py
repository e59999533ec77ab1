raise ValueError("the table is not there")
