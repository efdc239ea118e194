;; architecture
;; Has tables each of which is within the limit.
(table 60000 funcref) (table 60000 funcref) (table 60000 funcref) (table 60000 funcref)
