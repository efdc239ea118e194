;; architecture
;; Never ends its initialisation.
(func $spin (loop $again (br $again)))
(start $spin)
