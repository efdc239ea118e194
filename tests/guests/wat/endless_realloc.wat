;; architecture
;; Never makes room for what it is passed.
(func $spin (loop $again (br $again)))
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (call $spin) (i32.const 65536))
