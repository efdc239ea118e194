;; architecture
;; Has a second memory, and makes it larger until that is refused.
(memory $first (export "memory") 4)
(memory $second 1)
(func $grow (loop $more (br_if $more (i32.ge_s (memory.grow $second (i32.const 16)) (i32.const 0)))))
(func (export "build") (param i32 i32 i32) (result i32) (call $grow) (unreachable))
