;; architecture
;; Describes itself with half of a surrogate pair, which is no UTF-8.
(data (i32.const 1024) "\ed\a0\80\ed\a0")
(data (i32.const 1032) "0.1.0")
(data (i32.const 1100) "\00\04\00\00\05\00\00\00\08\04\00\00\05\00\00\00")
(func (export "describe") (result i32) (i32.const 1100))
