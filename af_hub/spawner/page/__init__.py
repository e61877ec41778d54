"""The spawn page and the administrators' page: what stands there, its HTML, its live news."""
