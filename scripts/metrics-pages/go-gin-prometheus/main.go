// A gin application with go-gin-prometheus as its README sets it up.
package main

import (
	"log"
	"net/http"
	"os"
	"time"

	"github.com/gin-gonic/gin"
	ginprometheus "github.com/mcuadros/go-gin-prometheus"
)

func tools(c *gin.Context) { c.String(http.StatusOK, "tools") }
func slow(c *gin.Context) {
	time.Sleep(350 * time.Millisecond)
	c.String(http.StatusOK, "slow")
}
func broken(c *gin.Context)  { panic("broken") }
func refused(c *gin.Context) { c.String(http.StatusServiceUnavailable, "refused") }
func ready(c *gin.Context)   { c.String(http.StatusOK, "ready") }

func main() {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	p := ginprometheus.NewPrometheus("gin")
	p.Use(r)
	// After the figures, so that a panic has become a 500 by the time it is counted.
	r.Use(gin.Recovery())
	r.GET("/tools", tools)
	r.GET("/slow", slow)
	r.GET("/broken", broken)
	r.GET("/refused", refused)
	r.GET("/ready", ready)
	log.Fatal(r.Run("127.0.0.1:" + os.Getenv("PORT")))
}
