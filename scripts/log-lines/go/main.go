// A net/http application with lib/pq that logs what fails, and panics where nobody looks.
package main

import (
	"database/sql"
	"log"
	"net/http"
	"os"

	_ "github.com/lib/pq"
)

func main() {
	db, err := sql.Open("postgres", os.Getenv("DATABASE_URL")+"?sslmode=disable")
	if err != nil {
		log.Fatal(err)
	}
	statements := map[string]string{
		"/tools":  "select 1",
		"/twice":  "insert into tools values (1)",
		"/absent": "select * from nothing",
		"/denied": "select * from pg_authid",
		"/late":   "select pg_sleep(5)",
	}
	for path, statement := range statements {
		statement := statement
		http.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if _, err := db.Exec(statement); err != nil {
				log.Printf("%s %s: %v", r.Method, r.URL.Path, err)
				http.Error(w, "failed", http.StatusInternalServerError)
			}
		})
	}
	http.HandleFunc("/broken", func(w http.ResponseWriter, r *http.Request) { panic("broken") })
	http.HandleFunc("/rejected", func(w http.ResponseWriter, r *http.Request) {
		go func() {
			var tools map[string]int
			tools["saw"] = 1
		}()
	})
	log.Printf("listening on 127.0.0.1:%s", os.Getenv("PORT"))
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
