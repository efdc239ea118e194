;; architecture
;; Begins with a table of a hundred million functions.
(table 100000000 funcref)
