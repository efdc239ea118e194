;; architecture
;; Calls the host while the host is passing it something.
(import "inference:runtime/graph@0.1.0" "token-ids" (func $token_ids (result i32)))
(func $reenter (drop (call $token_ids)))
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (call $reenter) (i32.const 65536))
