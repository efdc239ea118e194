;; architecture
;; Describes itself with a list of so many texts that their size overflows.
(data (i32.const 1100) "\00\04\00\00\00\00\00\00\00\04\00\00\00\00\00\00\00\08\00\00\00\00\00\20")
(func (export "describe") (result i32) (i32.const 1100))
